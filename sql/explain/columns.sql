-- Columns of one table or view, with their types and meanings.
select column_name, lower(data_type), coalesce(comment, '')
from duckdb_columns()
where table_name = ? and not internal
order by column_index
