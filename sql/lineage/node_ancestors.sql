-- The ancestors of each node of the knowledge tree, itself included: one row per node and ancestor. `steps` is 0 for the node
-- itself. Join on `node_id` to go up the tree, on `ancestor_id` to go down.
with recursive climb as (
    select node_id, node_id as ancestor_id, parent_id, 0 as steps
    from knowledge_tree
    union all
    select climb.node_id, above.node_id, above.parent_id, climb.steps + 1
    from climb
    join knowledge_tree as above on above.node_id = climb.parent_id
)
select node_id, ancestor_id, steps
from climb
