-- The tables go; the files go with the cluster.
DROP SCHEMA bare CASCADE;
