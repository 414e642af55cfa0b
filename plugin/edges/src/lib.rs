//! The seven kinds of edge: Arrow schemas with typed readers and builders.
