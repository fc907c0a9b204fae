SELECT 1; -- stands in for time until that branch is here
