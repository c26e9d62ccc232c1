// One thread's stock of read buffers.
//
// A session takes a buffer when there is something to read and gives it back when all of it has
// been written, so an idle session holds none and a blocked direction holds exactly one.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace muster::wire {

class BufferPool {
  public:
    static constexpr std::size_t buffer_size = 16 * 1024;
    using Block = std::array<char, buffer_size>;

    // Owns one block; its destructor gives it back. Must not outlive the pool.
    class Buffer {
      public:
        Buffer(BufferPool& pool, std::unique_ptr<Block> block)
            : pool_(&pool), block_(std::move(block)) {}
        Buffer(Buffer&&) = default;
        Buffer& operator=(Buffer&&) = delete;
        ~Buffer() {
            if (block_)
                pool_->give_back(std::move(block_));
        }
        char* data() { return block_->data(); }

      private:
        BufferPool* pool_;
        std::unique_ptr<Block> block_;
    };

    Buffer take() {
        if (spare_.empty())
            return {*this, std::unique_ptr<Block>(new Block)};  // not zeroed
        auto block = std::move(spare_.back());
        spare_.pop_back();
        return {*this, std::move(block)};
    }

  private:
    static constexpr std::size_t max_spare = 64;  // 1 MB a thread

    void give_back(std::unique_ptr<Block> block) {
        if (spare_.size() < max_spare)
            spare_.push_back(std::move(block));
    }

    std::vector<std::unique_ptr<Block>> spare_;
};

}  // namespace muster::wire
