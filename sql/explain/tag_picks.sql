-- The picks that a tag gave most to, with their conversations.
with best as (
    select target, rank, instance_id, id, source, amount, share_of_gain, origin = 'assigned' as inferred
    from tag_rows
    where tag = $key
    order by round(amount, 9) desc, rank
    limit $most
)

select best.*, raw.messages
from best
join raw_instances as raw on raw.instance_id = best.instance_id
order by round(best.amount, 9) desc, best.rank
