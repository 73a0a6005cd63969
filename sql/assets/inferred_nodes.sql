-- For a few rows: the nodes above their tags, and whether most of the weight below a node is assigned by likeness.
with recursive above as (
    select node_id as leaf_id, node_id, parent_id from knowledge_tree where level = 0
    union all
    select a.leaf_id, n.node_id, n.parent_id
    from above a join knowledge_tree n on n.node_id = a.parent_id
),
own as (
    select tags.instance_id, held.node_id as leaf_id, tags.weight, tags.origin
    from instance_tags tags
    semi join (select unnest(cast($ids as varchar[])) as instance_id) wanted on wanted.instance_id = tags.instance_id
    join knowledge_tree_tags held on held.tag = tags.tag
)
select
    own.instance_id,
    above.node_id,
    coalesce(sum(own.weight) filter (where own.origin = 'assigned'), 0) > 0.5 * sum(own.weight) as inferred
from own join above using (leaf_id)
group by all
order by all
