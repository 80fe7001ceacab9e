// Plain LMDB, one page per value: batches of 8 MiB without a sync each, one sync at the end. Nothing is checked.

#include "contender.hpp"

#include <cstring>
#include <lmdb.h>
#include <stdexcept>

namespace {

void check(int code, const char *call) {
    if (code != MDB_SUCCESS) throw std::runtime_error(std::string(call) + ": " + mdb_strerror(code));
}

class Lmdb final : public Contender {
public:
    explicit Lmdb(const Place &place) {
        check(mdb_env_create(&environment_), "mdb_env_create");
        check(mdb_env_set_mapsize(environment_, std::size_t(64) << 30), "mdb_env_set_mapsize");
        check(mdb_env_open(environment_, place.folder.c_str(), MDB_NOSYNC | MDB_NOTLS, 0600), "mdb_env_open");
        check(mdb_txn_begin(environment_, nullptr, 0, &writer_), "mdb_txn_begin");
        check(mdb_dbi_open(writer_, nullptr, 0, &table_), "mdb_dbi_open");
        commit();
    }

    ~Lmdb() override {
        if (reader_) mdb_txn_abort(reader_);
        if (writer_) mdb_txn_abort(writer_);
        mdb_env_close(environment_);
    }

    void put(const std::string &key, const char *page, std::size_t bytes) override {
        if (!writer_) check(mdb_txn_begin(environment_, nullptr, 0, &writer_), "mdb_txn_begin");
        MDB_val name = value(key);
        MDB_val place{bytes, nullptr};
        check(mdb_put(writer_, table_, &name, &place, MDB_RESERVE), "mdb_put");
        std::memcpy(place.mv_data, page, bytes);
        waiting_ += bytes;
        if (waiting_ >= (8u << 20)) commit();
    }

    void sync() override {
        commit();
        check(mdb_env_sync(environment_, 1), "mdb_env_sync");
    }

    bool get(const std::string &key, char *target, std::size_t bytes) override {
        if (!reader_) check(mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &reader_), "mdb_txn_begin");
        MDB_val name = value(key);
        MDB_val found;
        if (mdb_get(reader_, table_, &name, &found) != MDB_SUCCESS || found.mv_size != bytes) return false;
        std::memcpy(target, found.mv_data, bytes);
        return true;
    }

private:
    static MDB_val value(const std::string &key) { return {key.size(), const_cast<char *>(key.data())}; }

    void commit() {
        if (!writer_) return;
        MDB_txn *writer = writer_;
        writer_ = nullptr;
        waiting_ = 0;
        check(mdb_txn_commit(writer), "mdb_txn_commit");
    }

    MDB_env *environment_ = nullptr;
    MDB_txn *writer_ = nullptr;
    MDB_txn *reader_ = nullptr;
    MDB_dbi table_ = 0;
    std::size_t waiting_ = 0;
};

} // namespace

std::unique_ptr<Contender> open_lmdb(const Place &place) { return std::make_unique<Lmdb>(place); }
