// What every contender of the comparison can do, and the memory that pages lie in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

/// A store of pages under keys. One call per page, in the order of the prefix, as an engine calls it.
class Contender {
public:
    virtual ~Contender() = default;

    /// Stores a page. It may be anywhere when this returns, as long as `get` finds it.
    virtual void put(const std::string &key, const char *page, std::size_t bytes) = 0;

    /// Makes everything that was put survive a power cut, if this contender can do that.
    virtual void sync() = 0;

    /// Announces that the page under this key will be fetched after those announced before. Only a hint.
    virtual void will_get(const std::string &) {}

    /// Copies a page to `target`, whose memory is there already.
    ///
    /// @return false when there is no page of `bytes` bytes under this key.
    virtual bool get(const std::string &key, char *target, std::size_t bytes) = 0;

    /// Bytes that the contender holds outside its folder: the memory of a server.
    virtual std::uint64_t bytes_elsewhere() { return 0; }
};

/// What a contender is opened with.
struct Place {
    std::string folder;
    std::size_t page_bytes;
    std::uint64_t pages;
    int port;
};

/// Opens a contender by name, and makes what it needs in the folder; throws std::runtime_error with the reason.
std::unique_ptr<Contender> open_contender(const std::string &name, const Place &place);

std::unique_ptr<Contender> open_files(const Place &place);
std::unique_ptr<Contender> open_lmdb(const Place &place);
std::unique_ptr<Contender> open_rocksdb(const Place &place, bool compressed, bool verified);
std::unique_ptr<Contender> open_redis(const Place &place);

/// Anonymous memory, every byte touched, so that no page fault falls into a timed part.
class Memory {
public:
    explicit Memory(std::size_t bytes);
    ~Memory();
    Memory(const Memory &) = delete;
    Memory &operator=(const Memory &) = delete;

    char *data() { return base_; }
    std::size_t size() const { return size_; }

    /// Fills the memory from the beginning of a file of raw pages, and from its beginning again where it ends.
    void read(const std::string &path, std::size_t page_bytes);

private:
    char *base_;
    std::size_t size_;
};

/// Throws std::runtime_error: what failed, and errno's text.
[[noreturn]] void fail(const std::string &what);
