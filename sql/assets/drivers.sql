-- Top concepts and top tags by their share of the whole gain, with the picks that they gave most to.
-- `inferred` counts the picks in which most of the weight was assigned by likeness. Such picks count for nothing where the
-- pool is too small for them ($inferred is false); the root, which stands for whole texts, always counts.
with recursive above as (
    select node_id as leaf_id, node_id, parent_id from knowledge_tree where level = 0
    union all
    select a.leaf_id, n.node_id, n.parent_id
    from above a join knowledge_tree n on n.node_id = a.parent_id
),
tags_below as materialized (
    select above.node_id, t.tag from above join knowledge_tree_tags t on t.node_id = above.leaf_id
),
-- Said apart, so that the picks' few tags meet the nodes above them, and not every node all the tags below it:
-- below the root that is all there are.
above_tags as materialized (
    select t.instance_id, t.tag, t.weight, t.origin, b.node_id
    from instance_tags t semi join selected_subset s on s.instance_id = t.instance_id
    join tags_below b on b.tag = t.tag
),
tag_amounts as (
    -- a tag's share of a node's amount follows its weight among the row's tags below that node
    select
        a.instance_id,
        t.tag,
        t.origin = 'assigned' as inferred,
        a.amount * t.weight / sum(t.weight) over (partition by a.instance_id, a.node_id, a.part) as amount
    from selection_attribution a
    join above_tags t on t.instance_id = a.instance_id and t.node_id = a.node_id
),
stands_on as (
    select
        t.instance_id,
        t.node_id,
        coalesce(sum(t.weight) filter (where t.origin = 'assigned'), 0) > 0.5 * sum(t.weight) as inferred
    from above_tags t
    group by all
),
carried as (
    select
        'node' as kind,
        a.node_id as key,
        a.instance_id,
        n.parent_id is not null and coalesce(s.inferred, false) as inferred,
        sum(a.amount) as amount
    from selection_attribution a
    join knowledge_tree n on n.node_id = a.node_id
    left join stands_on s on s.instance_id = a.instance_id and s.node_id = a.node_id
    group by all
    union all
    select 'tag' as kind, tag as key, instance_id, inferred, sum(amount) as amount from tag_amounts group by all
),
ranked as (
    select
        kind,
        key,
        sum(amount) as amount,
        count(distinct instance_id) as rows,
        count(distinct instance_id) filter (where inferred) as inferred,
        list(instance_id order by round(amount, 9) desc, rank)[1:$examples] as examples
    from carried join selected_subset using (instance_id)
    where $inferred or not inferred
    group by kind, key
    qualify row_number() over (partition by kind order by sum(amount) desc, key) <= $top
)
select kind, key, amount / (select sum(amount) from selection_attribution) as share, rows, inferred, examples
from ranked
order by kind, share desc, key
