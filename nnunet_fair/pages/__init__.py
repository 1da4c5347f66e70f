"""What every page of the package has: layout, style sheet, tables that sort, and the policy that nothing else runs."""
