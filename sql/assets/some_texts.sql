-- The conversations of a few rows, in the order of their ids.
select raw.instance_id, raw.id, raw.source, raw.file, raw.line, raw.messages
from raw_instances as raw
semi join (select unnest(cast($ids as varchar[])) as instance_id) as wanted on wanted.instance_id = raw.instance_id
order by raw.instance_id
