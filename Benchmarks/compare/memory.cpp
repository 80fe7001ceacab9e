// Memory for pages.

#include "contender.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <stdexcept>
#include <sys/mman.h>
#include <unistd.h>

void fail(const std::string &what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

Memory::Memory(std::size_t bytes) : size_(bytes) {
    void *address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED) fail("mmap");
    base_ = static_cast<char *>(address);
    std::memset(base_, 1, bytes);
}

Memory::~Memory() { munmap(base_, size_); }

void Memory::read(const std::string &path, std::size_t page_bytes) {
    int file = open(path.c_str(), O_RDONLY);
    if (file < 0) fail(path);
    std::size_t filled = 0;
    while (filled < size_) {
        ssize_t got = ::read(file, base_ + filled, size_ - filled < (64u << 20) ? size_ - filled : (64u << 20));
        if (got <= 0) break;
        filled += static_cast<std::size_t>(got);
    }
    close(file);
    filled -= filled % page_bytes;
    if (filled == 0) throw std::runtime_error(path + " holds no whole page");
    for (std::size_t end = filled; end < size_;) {
        std::size_t part = size_ - end < filled ? size_ - end : filled;
        std::memcpy(base_ + end, base_, part);
        end += part;
    }
}
