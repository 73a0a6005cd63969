-- Why one instance is not in one target's selection.
select why, detail
from why_not_selected
where instance_id = $instance_id and target = $target
