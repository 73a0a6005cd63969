-- The picks that a node gave most to, with their conversations.
with best as (
    select target, rank, instance_id, id, source, amount, share_of_gain
    from node_rows
    where node_id = $key
    order by round(amount, 9) desc, rank
    limit $most
),

-- Rows in which most of the weight below the node was assigned by likeness.
stands_on as (
    select
        tags.instance_id,
        coalesce(sum(tags.weight) filter (where tags.origin = 'assigned'), 0) > 0.5 * sum(tags.weight) as inferred
    from row_tags as tags
    join node_ancestors as up on up.node_id = tags.leaf_id
    semi join best on best.instance_id = tags.instance_id
    where up.ancestor_id = $key
    group by all
)

select best.*, coalesce(stands_on.inferred, false) as inferred, raw.messages
from best
left join stands_on on stands_on.instance_id = best.instance_id
join raw_instances as raw on raw.instance_id = best.instance_id
order by round(best.amount, 9) desc, best.rank
