"""Why a row is selected, what changed between selections, and what would change."""
