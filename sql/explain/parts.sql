-- What each node gave to one pick, most first.
select node_id, node, level, path, gain, closeness, coverage, text, amount, share_of_gain
from node_rows
where instance_id = $instance_id and target = $target
order by round(amount, 9) desc, level, node_id
