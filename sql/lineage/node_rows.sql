-- The rows that a node of the knowledge tree brought in: one row per target, node and selected instance with an amount for the node.
-- The root, called `whole text`, has the amounts of the rows' whole texts, which belong to no single concept.
-- `amount` is the sum of the four parts; `share_of_gain` is `amount` divided by the instance's gain.
select
    parts.target,
    parts.node_id,
    if(node.parent_id is null, 'whole text', node.name) as node,
    node.level,
    if(node.parent_id is null, 'whole text', node.path) as path,
    picked.rank,
    picked.instance_id,
    picked.id,
    picked.source,
    picked.quality,
    sum(parts.amount) as amount,
    coalesce(sum(parts.amount) filter (where parts.part = 'gain'), 0) as gain,
    coalesce(sum(parts.amount) filter (where parts.part = 'closeness'), 0) as closeness,
    coalesce(sum(parts.amount) filter (where parts.part = 'coverage'), 0) as coverage,
    coalesce(sum(parts.amount) filter (where parts.part = 'text'), 0) as text,
    sum(parts.amount) / nullif(any_value(picked.gain), 0) as share_of_gain
from selection_attribution as parts
join selected_subset as picked on picked.target = parts.target and picked.instance_id = parts.instance_id
join knowledge_tree as node on node.node_id = parts.node_id
group by all
