-- What a tag brought into a selection as a whole.
select
    cast($target as varchar) as target,
    count(*) as rows,
    coalesce(sum(amount), 0) as amount,
    coalesce(sum(amount) / nullif((select sum(gain) from selected_subset), 0), 0) as share
from tag_rows
where tag = $key
