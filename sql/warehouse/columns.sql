-- Columns of some views, in their order, with their types.
select table_name, column_name, data_type
from duckdb_columns()
where not internal and list_contains($views, table_name)
order by table_name, column_index
