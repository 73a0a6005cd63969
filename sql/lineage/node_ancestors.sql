-- One row per node of the knowledge tree and node above it, itself included: `steps` is 0 at the node, and
-- `ancestor_id` reaches the root. Join on `node_id` to climb, on `ancestor_id` to come down.
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
