// KVFormat
