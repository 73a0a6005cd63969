-- The selection, each row with the leaves that gave most of its gain.
with leaf_amounts as (
    select a.instance_id, n.path, sum(a.amount) as amount
    from selection_attribution a join knowledge_tree n using (node_id)
    where n.level = 0
    group by all
),
drivers as (
    select instance_id, list({concept: path, amount: amount} order by amount desc, path)[1:$top] as drivers
    from leaf_amounts
    group by instance_id
)
select s.*, d.drivers
from selected_subset s left join drivers d using (instance_id)
order by s.rank
