-- Each concept's share of one selection.
select node_id, node, level, path, selected_share as share
from concept_shares
order by level desc, node_id
