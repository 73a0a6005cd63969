-- Each concept's share of one selection.
select shares.node_id, above.parent_id, shares.node, shares.level, shares.path, shares.selected_share as share
from concept_shares as shares
join knowledge_tree as above on above.node_id = shares.node_id
order by shares.level desc, shares.node_id
