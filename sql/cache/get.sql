-- The values of those keys (a JSON list) of a namespace that are there, each with its checksum.
select wanted.value, entries.value, entries.checksum
from entries
join json_each(?2) as wanted on entries.key = wanted.value
where entries.namespace = ?1
