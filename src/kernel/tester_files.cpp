#include "kernel/tester_files.hpp"

#include "base/clock.hpp"
#include "base/random.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <map>
#include <sched.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace polis::kernel {
namespace {

using vm::ProgramMemory;
using vm::Value;

// Error numbers of WASI.
constexpr std::uint32_t ok = 0, badf = 8, inval = 28, nametoolong = 37, notdir = 54;
constexpr std::uint32_t iovsMax = 1024;
constexpr std::uint32_t preopened = 3;

std::uint32_t wasiError(int error) {
   switch (error) {
   case EACCES:
      return 2;
   case EBADF:
      return badf;
   case EEXIST:
      return 20;
   case EINVAL:
      return inval;
   case EISDIR:
      return 31;
   case ELOOP:
      return 32;
   case ENAMETOOLONG:
      return nametoolong;
   case ENOENT:
      return 44;
   case ENOSPC:
      return 51;
   case ENOTDIR:
      return notdir;
   case EPERM:
      return 63;
   case ESPIPE:
      return 70;
   default:
      return 29; // EIO
   }
}
std::uint32_t lastError() { return wasiError(errno); }

std::uint8_t fileType(mode_t mode) {
   if (S_ISBLK(mode))
      return 1;
   if (S_ISCHR(mode))
      return 2;
   if (S_ISDIR(mode))
      return 3;
   if (S_ISREG(mode))
      return 4;
   if (S_ISSOCK(mode))
      return 6;
   return S_ISLNK(mode) ? 7 : 0;
}

template <class T>
void store(const ProgramMemory& memory, std::uint32_t at, T value) {
   std::memcpy(memory.span(at, sizeof value).data(), &value, sizeof value);
}
template <class T>
T load(const ProgramMemory& memory, std::uint64_t at) {
   T value;
   std::memcpy(&value, memory.span(static_cast<std::uint32_t>(at), sizeof value).data(), sizeof value);
   return value;
}

class Files {
public:
   Files(std::vector<std::string> args, std::vector<std::string> environment, FilesSeen seen)
      : args_(std::move(args)), environment_(std::move(environment)) {
      open_ = {{0, {0}}, {1, {1}}, {2, {2}}};
      if (seen == FilesSeen::all)
         open_[preopened] = {::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
   }
   ~Files() {
      for (const auto& [number, file] : open_) {
         if (file.listing)
            ::closedir(file.listing);
         if (number > 2)
            ::close(file.fd);
      }
   }
   Files(const Files&) = delete;
   Files& operator=(const Files&) = delete;

   using Args = const Value*;
   using Memory = const ProgramMemory&;

   std::uint32_t argsSizes(Memory m, Args a) { return sizes(m, a, args_); }
   std::uint32_t argsGet(Memory m, Args a) { return list(m, a, args_); }
   std::uint32_t environSizes(Memory m, Args a) { return sizes(m, a, environment_); }
   std::uint32_t environGet(Memory m, Args a) { return list(m, a, environment_); }

   std::uint32_t clockTime(Memory m, Args a) {
      if (a[0].i32 > 1)
         return inval;
      store(m, a[2].i32, a[0].i32 == 0 ? clock_.realtimeNs() : clock_.monotonicNs());
      return ok;
   }
   std::uint32_t random(Memory m, Args a) {
      random_.fill(m.span(a[0].i32, a[1].i32));
      return ok;
   }
   std::uint32_t yield(Memory, Args) {
      ::sched_yield();
      return ok;
   }

   std::uint32_t close(Memory, Args a) {
      const auto at = open_.find(a[0].i32);
      if (at == open_.end())
         return badf;
      if (at->second.listing)
         ::closedir(at->second.listing);
      if (at->first > 2)
         ::close(at->second.fd);
      open_.erase(at);
      return ok;
   }

   std::uint32_t fdstat(Memory m, Args a) {
      const File* file = find(a[0].i32);
      struct stat info{};
      if (!file || ::fstat(file->fd, &info))
         return badf;
      const int flags = ::fcntl(file->fd, F_GETFL);
      auto out = m.span(a[1].i32, 24);
      std::ranges::fill(out, std::uint8_t{0});
      out[0] = fileType(info.st_mode);
      out[2] = static_cast<std::uint8_t>((flags & O_APPEND ? 1 : 0) | (flags & O_NONBLOCK ? 4 : 0));
      constexpr std::uint64_t rights = (std::uint64_t{1} << 29) - 1;
      std::memcpy(out.data() + 8, &rights, 8);
      std::memcpy(out.data() + 16, &rights, 8);
      return ok;
   }
   std::uint32_t fdstatSetFlags(Memory, Args a) {
      const File* file = find(a[0].i32);
      if (!file)
         return badf;
      const int flags = (a[1].i32 & 1 ? O_APPEND : 0) | (a[1].i32 & 4 ? O_NONBLOCK : 0);
      return ::fcntl(file->fd, F_SETFL, flags) ? lastError() : ok;
   }
   std::uint32_t fdFilestat(Memory m, Args a) {
      const File* file = find(a[0].i32);
      struct stat info{};
      if (!file)
         return badf;
      if (::fstat(file->fd, &info))
         return lastError();
      return filestat(m, a[1].i32, info);
   }
   std::uint32_t pathFilestat(Memory m, Args a) {
      const File* file = find(a[0].i32);
      if (!file)
         return badf;
      const auto path = pathOf(m, a[2].i32, a[3].i32);
      struct stat info{};
      if (::fstatat(file->fd, path.c_str(), &info, a[1].i32 & 1 ? 0 : AT_SYMLINK_NOFOLLOW))
         return lastError();
      return filestat(m, a[4].i32, info);
   }

   std::uint32_t prestat(Memory m, Args a) {
      if (a[0].i32 != preopened || !find(preopened))
         return badf;
      store(m, a[1].i32, std::uint64_t{1} << 32); // tag 0: a folder; its name has one byte
      return ok;
   }
   std::uint32_t prestatName(Memory m, Args a) {
      if (a[0].i32 != preopened || !find(preopened))
         return badf;
      if (a[2].i32 < 1)
         return nametoolong;
      m.span(a[1].i32, 1)[0] = '/';
      return ok;
   }

   std::uint32_t pathOpen(Memory m, Args a) {
      const File* folder = find(a[0].i32);
      if (!folder)
         return badf;
      const auto path = pathOf(m, a[2].i32, a[3].i32);
      const std::uint32_t oflags = a[4].i32, fdflags = a[7].i32;
      const std::uint64_t rights = a[5].i64;
      const bool writes = rights & 64, reads = (rights & 2) || !writes;
      int flags = O_CLOEXEC | (writes && reads ? O_RDWR : writes ? O_WRONLY : O_RDONLY);
      if (oflags & 2)
         flags = O_CLOEXEC | O_RDONLY | O_DIRECTORY;
      flags |= (oflags & 1 ? O_CREAT : 0) | (oflags & 4 ? O_EXCL : 0) | (oflags & 8 ? O_TRUNC : 0);
      flags |= (fdflags & 1 ? O_APPEND : 0) | (fdflags & 4 ? O_NONBLOCK : 0) | (fdflags & 16 ? O_SYNC : 0);
      if (!(a[1].i32 & 1))
         flags |= O_NOFOLLOW;
      int fd = ::openat(folder->fd, path.c_str(), flags, 0666);
      // Programs ask for every right on folders.
      if (fd < 0 && errno == EISDIR && !(oflags & 9))
         fd = ::openat(folder->fd, path.c_str(), O_CLOEXEC | O_RDONLY | O_DIRECTORY);
      if (fd < 0)
         return lastError();
      std::uint32_t number = preopened + 1;
      while (open_.contains(number))
         ++number;
      open_[number] = {fd};
      store(m, a[8].i32, number);
      return ok;
   }

   std::uint32_t read(Memory m, Args a) { return transfer(m, a, false); }
   std::uint32_t write(Memory m, Args a) { return transfer(m, a, true); }

   std::uint32_t seek(Memory m, Args a) {
      const File* file = find(a[0].i32);
      if (!file)
         return badf;
      static constexpr int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END};
      if (a[2].i32 > 2)
         return inval;
      const off_t at = ::lseek(file->fd, static_cast<off_t>(a[1].i64), whences[a[2].i32]);
      if (at < 0)
         return lastError();
      store(m, a[3].i32, static_cast<std::uint64_t>(at));
      return ok;
   }
   std::uint32_t tell(Memory m, Args a) {
      const File* file = find(a[0].i32);
      if (!file)
         return badf;
      const off_t at = ::lseek(file->fd, 0, SEEK_CUR);
      if (at < 0)
         return lastError();
      store(m, a[1].i32, static_cast<std::uint64_t>(at));
      return ok;
   }

   std::uint32_t readdir(Memory m, Args a) {
      File* file = find(a[0].i32);
      if (!file)
         return badf;
      auto out = m.span(a[1].i32, a[2].i32);
      const std::uint64_t cookie = a[3].i64;
      if (!file->listing) {
         const int copy = ::openat(file->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
         if (copy < 0)
            return lastError();
         file->listing = ::fdopendir(copy);
         if (!file->listing) {
            ::close(copy);
            return notdir;
         }
      }
      // The cookie is the number of entries that were read.
      if (cookie != file->listed) {
         ::rewinddir(file->listing);
         for (file->listed = 0; file->listed < cookie; ++file->listed)
            if (!::readdir(file->listing))
               break;
      }
      std::size_t used = 0;
      while (used < out.size()) {
         const dirent* entry = ::readdir(file->listing);
         if (!entry)
            break;
         ++file->listed;
         std::uint8_t head[24] = {};
         const std::uint64_t next = file->listed, inode = entry->d_ino;
         const auto nameBytes = static_cast<std::uint32_t>(std::strlen(entry->d_name));
         std::memcpy(head, &next, 8);
         std::memcpy(head + 8, &inode, 8);
         std::memcpy(head + 16, &nameBytes, 4);
         head[20] = fileType(static_cast<mode_t>(DTTOIF(entry->d_type)));
         const auto put = [&](const void* data, std::size_t bytes) {
            bytes = std::min(bytes, out.size() - used);
            std::memcpy(out.data() + used, data, bytes);
            used += bytes;
         };
         put(head, sizeof head);
         put(entry->d_name, nameBytes);
      }
      store(m, a[4].i32, static_cast<std::uint32_t>(used));
      return ok;
   }

private:
   struct File {
      int fd = -1;
      DIR* listing = nullptr;
      std::uint64_t listed = 0;
   };

   File* find(std::uint32_t number) {
      const auto at = open_.find(number);
      return at == open_.end() ? nullptr : &at->second;
   }
   /// An absolute path is meant below the folder, too.
   static std::string pathOf(Memory m, std::uint32_t pointer, std::uint32_t bytes) {
      const auto span = m.span(pointer, bytes);
      std::string path(reinterpret_cast<const char*>(span.data()), span.size());
      path.erase(0, path.find_first_not_of('/') == std::string::npos ? path.size() : path.find_first_not_of('/'));
      return path.empty() ? "." : path;
   }
   static std::uint32_t filestat(Memory m, std::uint32_t at, const struct stat& info) {
      const auto ns = [](const timespec& t) {
         return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(t.tv_nsec);
      };
      const std::uint64_t out[8] = {info.st_dev,
                                    info.st_ino,
                                    fileType(info.st_mode),
                                    info.st_nlink,
                                    static_cast<std::uint64_t>(info.st_size),
                                    ns(info.st_atim),
                                    ns(info.st_mtim),
                                    ns(info.st_ctim)};
      std::memcpy(m.span(at, sizeof out).data(), out, sizeof out);
      return ok;
   }
   static std::uint32_t sizes(Memory m, Args a, const std::vector<std::string>& texts) {
      std::uint32_t bytes = 0;
      for (const auto& text : texts)
         bytes += static_cast<std::uint32_t>(text.size()) + 1;
      store(m, a[0].i32, static_cast<std::uint32_t>(texts.size()));
      store(m, a[1].i32, bytes);
      return ok;
   }
   static std::uint32_t list(Memory m, Args a, const std::vector<std::string>& texts) {
      std::uint32_t pointers = a[0].i32, at = a[1].i32;
      for (const auto& text : texts) {
         store(m, pointers, at);
         std::memcpy(m.span(at, text.size() + 1).data(), text.c_str(), text.size() + 1);
         pointers += 4;
         at += static_cast<std::uint32_t>(text.size()) + 1;
      }
      return ok;
   }
   std::uint32_t transfer(Memory m, Args a, bool writes) {
      const File* file = find(a[0].i32);
      if (!file)
         return badf;
      if (a[2].i32 > iovsMax)
         return inval;
      std::vector<iovec> parts;
      for (std::uint32_t i = 0; i < a[2].i32; ++i) {
         const std::uint64_t at = std::uint64_t{a[1].i32} + 8 * i;
         const auto span = m.span(load<std::uint32_t>(m, at), load<std::uint32_t>(m, at + 4));
         parts.push_back({span.data(), span.size()});
      }
      const auto count = static_cast<int>(parts.size());
      const ssize_t done = writes ? ::writev(file->fd, parts.data(), count) : ::readv(file->fd, parts.data(), count);
      if (done < 0)
         return lastError();
      store(m, a[3].i32, static_cast<std::uint32_t>(done));
      return ok;
   }

   std::vector<std::string> args_, environment_;
   std::map<std::uint32_t, File> open_;
   SystemClock clock_;
   SystemRandom random_;
};

} // namespace

std::vector<vm::ProgramFunction> wasiFunctions(std::vector<std::string> args, std::vector<std::string> environment,
                                               FilesSeen seen) {
   const auto files = std::make_shared<Files>(std::move(args), std::move(environment), seen);
   std::vector<vm::ProgramFunction> out;
   // types: one letter a parameter, i (i32) or l (i64); all return an error number.
   const auto add = [&](const char* name, std::string_view types,
                        std::uint32_t (Files::*body)(Files::Memory, Files::Args)) {
      vm::FunctionType type;
      for (const char letter : types)
         type.params.push_back(letter == 'l' ? vm::ValueType::i64 : vm::ValueType::i32);
      type.result = vm::ValueType::i32;
      out.push_back({"wasi_snapshot_preview1", name, type,
                     [files, body](const ProgramMemory& memory, const Value* a, Value* result) {
                        *result = Value::of(((*files).*body)(memory, a));
                     }});
   };
   add("args_get", "ii", &Files::argsGet);
   add("args_sizes_get", "ii", &Files::argsSizes);
   add("environ_get", "ii", &Files::environGet);
   add("environ_sizes_get", "ii", &Files::environSizes);
   add("clock_time_get", "ili", &Files::clockTime);
   add("random_get", "ii", &Files::random);
   add("sched_yield", "", &Files::yield);
   add("fd_close", "i", &Files::close);
   add("fd_fdstat_get", "ii", &Files::fdstat);
   add("fd_fdstat_set_flags", "ii", &Files::fdstatSetFlags);
   add("fd_filestat_get", "ii", &Files::fdFilestat);
   add("fd_prestat_get", "ii", &Files::prestat);
   add("fd_prestat_dir_name", "iii", &Files::prestatName);
   add("fd_read", "iiii", &Files::read);
   add("fd_readdir", "iiili", &Files::readdir);
   add("fd_seek", "ilii", &Files::seek);
   add("fd_tell", "ii", &Files::tell);
   add("fd_write", "iiii", &Files::write);
   add("path_filestat_get", "iiiii", &Files::pathFilestat);
   add("path_open", "iiiiillii", &Files::pathOpen);
   out.push_back(
       {"wasi_snapshot_preview1",
        "proc_exit",
        {{vm::ValueType::i32}, std::nullopt},
        [](const ProgramMemory&, const Value* a, Value*) { throw vm::ProgramExit{static_cast<int>(a[0].i32)}; }});
   return out;
}

} // namespace polis::kernel
