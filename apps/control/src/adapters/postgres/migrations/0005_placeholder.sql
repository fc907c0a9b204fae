SELECT 1; -- stands in for effects until that branch is here
