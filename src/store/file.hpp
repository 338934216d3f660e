// A file descriptor whose errors are Faults.
#pragma once

#include "base/bytes.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

namespace polis::store {

/// What a file is asked for; `synced` comes after a sync that went well, the others before they are done.
enum class FileStep { write, allocate, resize, sync, synced };

/// Told of every step of the files that it watches. For tests, which make steps fail or look at what a power cut at
/// this moment would leave. Changes of mapped memory are no steps.
class FileWatch {
public:
   virtual ~FileWatch() = default;
   /// May throw Fault: the step fails. Returns how many of the `bytes` of a write to attempt at once.
   virtual std::size_t on(FileStep step, int fd, std::size_t bytes) = 0;
};

} // namespace polis::store

namespace polis::store::detail {

enum class Sharing { exclusive, shared };

class File {
public:
   File() = default;
   /// `watch`, which may be null, outlives the file.
   File(const std::filesystem::path& path, int flags, FileWatch* watch = nullptr);
   File(File&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), writable_(other.writable_), name_(std::move(other.name_)),
        watch_(other.watch_) {}
   File& operator=(File&& other) noexcept {
      std::swap(fd_, other.fd_);
      std::swap(writable_, other.writable_);
      std::swap(name_, other.name_);
      std::swap(watch_, other.watch_);
      return *this;
   }
   ~File();

   int fd() const { return fd_; }
   bool writable() const { return writable_; }
   const std::string& name() const { return name_; }

   std::uint64_t size() const;
   void resize(std::uint64_t bytes);
   /// Makes sure that the range has room on the disk, so that writing to it cannot fail for want of space.
   void allocate(std::uint64_t offset, std::uint64_t bytes);
   /// Reads up to out.size() bytes; returns how many (fewer only at the end of the file).
   std::size_t readAt(std::uint64_t offset, std::span<std::uint8_t> out) const;
   void writeAt(std::uint64_t offset, ByteView bytes);
   void sync();
   /// False when another opener holds the lock: a shared one keeps out exclusive ones only. Lasts until closed.
   bool tryLock(Sharing sharing);

private:
   std::size_t step(FileStep step, std::size_t bytes) const;

   int fd_ = -1;
   bool writable_ = false;
   std::string name_;
   FileWatch* watch_ = nullptr;
};

/// Makes creations, renames and deletions in `folder` durable.
void syncFolder(const std::filesystem::path& folder);
/// Creates the folder and those above it.
void makeFolder(const std::filesystem::path& folder);

} // namespace polis::store::detail
