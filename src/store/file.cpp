#include "store/file.hpp"

#include "base/fault.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace polis::store::detail {

File::File(const std::filesystem::path& path, int flags, FileWatch* watch)
   : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)), writable_((flags & O_ACCMODE) != O_RDONLY),
     name_(path.string()), watch_(watch) {
   if (fd_ < 0)
      throwErrno("open " + name_);
}

std::size_t File::step(FileStep step, std::size_t bytes) const { return watch_ ? watch_->on(step, fd_, bytes) : bytes; }

File::~File() {
   if (fd_ >= 0)
      ::close(fd_);
}

std::uint64_t File::size() const {
   struct stat status{};
   if (::fstat(fd_, &status) != 0)
      throwErrno("stat " + name_);
   return static_cast<std::uint64_t>(status.st_size);
}

void File::resize(std::uint64_t bytes) {
   step(FileStep::resize, 0);
   if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0)
      throwErrno("resize " + name_);
}

void File::allocate(std::uint64_t offset, std::uint64_t bytes) {
   step(FileStep::allocate, bytes);
   if (const int error = ::posix_fallocate(fd_, static_cast<off_t>(offset), static_cast<off_t>(bytes))) {
      errno = error;
      throwErrno("allocate " + name_);
   }
}

std::size_t File::readAt(std::uint64_t offset, std::span<std::uint8_t> out) const {
   std::size_t done = 0;
   while (done < out.size()) {
      const ssize_t got = ::pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR)
         continue;
      if (got < 0)
         throwErrno("read " + name_);
      if (got == 0)
         break;
      done += static_cast<std::size_t>(got);
   }
   return done;
}

void File::writeAt(std::uint64_t offset, ByteView bytes) {
   std::size_t done = 0;
   while (done < bytes.size()) {
      const std::size_t some = step(FileStep::write, bytes.size() - done);
      const ssize_t put = ::pwrite(fd_, bytes.data() + done, some, static_cast<off_t>(offset + done));
      if (put < 0 && errno == EINTR)
         continue;
      if (put < 0)
         throwErrno("write " + name_);
      done += static_cast<std::size_t>(put);
   }
}

void File::sync() {
   step(FileStep::sync, 0);
   if (::fdatasync(fd_) != 0)
      throwErrno("sync " + name_);
   step(FileStep::synced, 0);
}

bool File::tryLock(Sharing sharing) {
   if (::flock(fd_, (sharing == Sharing::shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0)
      return true;
   if (errno != EWOULDBLOCK)
      throwErrno("lock " + name_);
   return false;
}

void syncFolder(const std::filesystem::path& folder) {
   const File file(folder, O_RDONLY | O_DIRECTORY);
   if (::fsync(file.fd()) != 0)
      throwErrno("sync " + file.name());
}

void makeFolder(const std::filesystem::path& folder) {
   std::error_code error;
   std::filesystem::create_directories(folder, error);
   if (error)
      throw Fault("create folder " + folder.string() + ": " + error.message());
}

} // namespace polis::store::detail
