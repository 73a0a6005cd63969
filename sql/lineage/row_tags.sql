-- The tags of each row: one row per instance and canonical tag. `weight` adds up to 1 per instance. `origin` is `extracted`,
-- `assigned`, `llm` or `given`. `given_as` has the tagger's own words, and is empty if the text does not contain the tag. `leaf` is
-- the leaf of the knowledge tree that contains the tag, and `path` leads to it.
with given as (
    select
        atomic.instance_id,
        coalesce(alias.tag, atomic.tag) as tag,
        list_sort(list_distinct(list(atomic.tag))) as given_as
    from atomic_tags as atomic
    left join tag_vocabulary_aliases as alias on alias.alias = atomic.tag
    group by all
)
select
    tags.instance_id,
    tags.tag,
    tags.weight,
    tags.origin,
    coalesce(given.given_as, []) as given_as,
    leaf.node_id as leaf_id,
    leaf.name as leaf,
    leaf.path
from instance_tags as tags
left join given on given.instance_id = tags.instance_id and given.tag = tags.tag
left join knowledge_tree_tags as held on held.tag = tags.tag
left join knowledge_tree as leaf on leaf.node_id = held.node_id
