-- Whether a database is a warehouse: every publication lists the versions of assets in one view or table.
select 1 from duckdb_columns() where database_name = 'found' and table_name = 'asset_versions' and column_name = 'data_version'
