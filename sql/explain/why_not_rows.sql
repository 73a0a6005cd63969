-- Why some rows, named by our id or their own, are not in one target's selection.
select *
from why_not_selected
where target = $target and (list_contains($rows, instance_id) or list_contains($rows, id))
order by file, line
