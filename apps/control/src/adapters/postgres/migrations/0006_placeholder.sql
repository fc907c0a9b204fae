-- Its number is given to a change that comes with another branch.
SELECT 1;
