-- The rows that a tag brought in: one row per target, canonical tag and selected instance with that tag. `amount` is the tag's part of
-- the instance's gain: its share, by weight, of every node above it. The amounts of an instance add up to its gain.
select
    target,
    tag,
    leaf_id,
    leaf,
    rank,
    instance_id,
    id,
    source,
    weight,
    origin,
    sum(amount) as amount,
    sum(share_of_gain) as share_of_gain
from why_selected
group by all
