-- Stores a value with its checksum, over an older one.
insert into entries (namespace, key, value, checksum)
values (?, ?, ?, ?)
on conflict do update set value = excluded.value, checksum = excluded.checksum
