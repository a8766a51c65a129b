"""The gallery in Milvus, for galleries beyond one process's memory: one consumer writes, all ask."""
