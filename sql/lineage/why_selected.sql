-- Why a row is selected: one row per target, selected instance, tag, node and part (`gain`, `closeness`, `coverage`, `text`). A node's
-- amount is split among the instance's tags below it by their weights, so the amounts of an instance add up to its gain. `leaf`
-- contains the tag, `node` is that leaf or a node above it, `path` leads to the node, and `level` is 0 at leaves. The part `text`
-- belongs to no single concept: it is at the root, called `whole text`, and is split among all tags. Filter by `instance_id` or `id`.
with below as (
    select tags.instance_id, up.ancestor_id as node_id, tags.tag, tags.weight, tags.origin, tags.given_as, tags.leaf_id, tags.leaf
    from row_tags as tags
    join node_ancestors as up on up.node_id = tags.leaf_id
),

shared as (
    select
        below.*,
        weight / nullif(sum(weight) over (partition by instance_id, node_id), 0) as part_of_node
    from below
    semi join selected_subset as picked on picked.instance_id = below.instance_id
)

select
    picked.target,
    picked.rank,
    picked.instance_id,
    picked.id,
    picked.source,
    shared.tag,
    shared.given_as,
    shared.weight,
    shared.origin,
    shared.leaf_id,
    shared.leaf,
    node.node_id,
    if(parts.part = 'text', 'whole text', node.name) as node,
    node.level,
    if(parts.part = 'text', 'whole text', node.path) as path,
    parts.part,
    parts.amount * coalesce(shared.part_of_node, 1) as amount,
    parts.amount * coalesce(shared.part_of_node, 1) / nullif(picked.gain, 0) as share_of_gain
from selection_attribution as parts
join selected_subset as picked on picked.target = parts.target and picked.instance_id = parts.instance_id
join knowledge_tree as node on node.node_id = parts.node_id
left join shared on shared.instance_id = parts.instance_id and shared.node_id = parts.node_id
