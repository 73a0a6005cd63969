-- Top leaves and top tags by their share of the whole gain, with the first picks that carry them.
with total as (select sum(amount) as whole from selection_attribution),
leaf_amounts as (
    select a.instance_id, a.node_id, a.amount, a.part
    from selection_attribution a join knowledge_tree n using (node_id)
    where n.level = 0
),
tag_amounts as (
    -- a tag's share of a leaf's amount follows its weight among the row's tags under that leaf
    select a.instance_id, t.tag, a.amount * t.weight / sum(t.weight) over (partition by a.instance_id, a.node_id, a.part) as amount
    from leaf_amounts a
    join knowledge_tree_tags m using (node_id)
    join instance_tags t on t.instance_id = a.instance_id and t.tag = m.tag
),
carried as (
    select 'node' as kind, node_id as key, instance_id, sum(amount) as amount from leaf_amounts group by all
    union all
    select 'tag' as kind, tag as key, instance_id, sum(amount) as amount from tag_amounts group by all
),
ranked as (
    select
        kind,
        key,
        sum(amount) as amount,
        count(distinct instance_id) as rows,
        list(instance_id order by rank)[1:$examples] as examples
    from carried join selected_subset using (instance_id)
    group by kind, key
    qualify row_number() over (partition by kind order by sum(amount) desc, key) <= $top
)
select kind, key, amount / (select whole from total) as share, rows, examples
from ranked
order by kind, share desc, key
