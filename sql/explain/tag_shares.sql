-- What each tag gave to one pick, most first.
select tag, coalesce(origin = 'assigned', false) as inferred, amount, share_of_gain
from tag_rows
where instance_id = $instance_id and target = $target
order by round(amount, 9) desc, tag
