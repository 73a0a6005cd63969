-- Canonical tags of one instance, heaviest first.
select tag, weight, origin, coalesce(origin = 'assigned', false) as inferred, given_as, leaf_id, leaf, path
from row_tags
where instance_id = $instance_id
order by weight desc, tag
