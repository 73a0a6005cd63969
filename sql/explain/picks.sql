-- The picks of one selection with what tells them apart wherever their file lies and whatever line they are on.
select
    picked.rank,
    picked.instance_id,
    picked.id,
    picked.source,
    picked.gain,
    picked.quality,
    raw.content_hash,
    raw.messages
from selected_subset as picked
join raw_instances as raw on raw.instance_id = picked.instance_id
order by picked.rank
