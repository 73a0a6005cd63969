-- One row per instance and canonical tag: its weight (those of an instance add up to 1), where it came from
-- (`extracted`, `assigned`, `llm`, `given`), the words the tagger used for it (`given_as`, empty where the row never says
-- it), and the leaf of the knowledge tree that holds it, with the path to it.
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
