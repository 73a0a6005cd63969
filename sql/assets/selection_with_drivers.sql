-- The selection, each row with the leaves that gave most of its gain; `inferred` where most of the row's weight at the leaf
-- was assigned by likeness. Such leaves are left out where the pool is too small for them ($inferred is false).
with stands_on as (
    select
        tags.instance_id,
        held.node_id,
        coalesce(sum(tags.weight) filter (where tags.origin = 'assigned'), 0) > 0.5 * sum(tags.weight) as inferred
    from instance_tags tags
    semi join selected_subset picked on picked.instance_id = tags.instance_id
    join knowledge_tree_tags held on held.tag = tags.tag
    group by all
),
leaf_amounts as (
    select a.instance_id, n.path, coalesce(stands_on.inferred, false) as inferred, sum(a.amount) as amount
    from selection_attribution a
    join knowledge_tree n on n.node_id = a.node_id
    left join stands_on on stands_on.instance_id = a.instance_id and stands_on.node_id = a.node_id
    where n.level = 0
    group by all
),
drivers as (
    select
        instance_id,
        list({concept: path, amount: amount, inferred: inferred} order by amount desc, path)[1:$top] as drivers
    from leaf_amounts
    where $inferred or not inferred
    group by instance_id
)
select s.*, d.drivers
from selected_subset s left join drivers d using (instance_id)
order by s.rank
