// RocksDB with values in blob files, without a write-ahead log (a flush makes pages durable): with its checksums verified,
// without (faster, and nothing notices damage), and with zstd.

#include "contender.hpp"

#include <cstring>
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <stdexcept>

namespace {

void check(const rocksdb::Status &status) {
    if (!status.ok()) throw std::runtime_error(status.ToString());
}

class RocksDB final : public Contender {
public:
    RocksDB(const Place &place, bool compressed, bool verified) {
        rocksdb::Options options;
        options.create_if_missing = true;
        options.enable_blob_files = true;
        options.min_blob_size = 1024;
        options.blob_file_size = std::uint64_t(1) << 30;
        options.blob_compression_type = compressed ? rocksdb::kZSTD : rocksdb::kNoCompression;
        options.compression = rocksdb::kNoCompression;
        options.write_buffer_size = 128 << 20;
        options.max_write_buffer_number = 4;
        options.max_background_jobs = 2;
        options.max_open_files = -1;
        // Blob files that are mapped, or read past the page cache, were not faster.
        reading_.verify_checksums = verified;
        reading_.fill_cache = false;
        writing_.disableWAL = true;
        rocksdb::DB *database = nullptr;
        // One process alone can open it so; opened read-only or as a secondary, 7.8 finds no blobs or crashes in its checks.
        check(rocksdb::DB::Open(options, place.folder, &database));
        database_.reset(database);
    }

    void put(const std::string &key, const char *page, std::size_t bytes) override {
        check(database_->Put(writing_, key, rocksdb::Slice(page, bytes)));
    }

    void sync() override {
        rocksdb::FlushOptions flushing;
        flushing.wait = true;
        check(database_->Flush(flushing));
    }

    bool get(const std::string &key, char *target, std::size_t bytes) override {
        rocksdb::PinnableSlice value;
        rocksdb::Status status = database_->Get(reading_, database_->DefaultColumnFamily(), key, &value);
        if (status.IsNotFound()) return false;
        check(status);
        if (value.size() != bytes) return false;
        std::memcpy(target, value.data(), bytes);
        return true;
    }

private:
    std::unique_ptr<rocksdb::DB> database_;
    rocksdb::ReadOptions reading_;
    rocksdb::WriteOptions writing_;
};

} // namespace

std::unique_ptr<Contender> open_rocksdb(const Place &place, bool compressed, bool verified) {
    return std::make_unique<RocksDB>(place, compressed, verified);
}
