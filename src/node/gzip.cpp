#include "node/gzip.hpp"
#include "base/fault.hpp"
#include <algorithm>
#include <zlib.h>

namespace polis::node {

Bytes gzip(ByteView data) {
   z_stream stream{};
   constexpr int gzipFormat = 15 + 16;
   if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, gzipFormat, 9, Z_DEFAULT_STRATEGY) != Z_OK)
      throw Fault("zlib cannot be started");
   Bytes out(deflateBound(&stream, data.size()) + 32);
   stream.next_in = const_cast<Bytef*>(data.data());
   stream.avail_in = static_cast<uInt>(data.size());
   stream.next_out = out.data();
   stream.avail_out = static_cast<uInt>(out.size());
   const int result = deflate(&stream, Z_FINISH);
   out.resize(stream.total_out);
   deflateEnd(&stream);
   if (result != Z_STREAM_END)
      throw Fault("zlib cannot compress");
   return out;
}

std::optional<Bytes> gunzip(ByteView data, std::size_t bytesMax) {
   z_stream stream{};
   constexpr int gzipFormat = 15 + 16;
   if (inflateInit2(&stream, gzipFormat) != Z_OK)
      throw Fault("zlib cannot be started");
   stream.next_in = const_cast<Bytef*>(data.data());
   stream.avail_in = static_cast<uInt>(data.size());
   Bytes out;
   int result = Z_OK;
   while (result == Z_OK && out.size() <= bytesMax) {
      const auto used = out.size();
      out.resize(used + std::max<std::size_t>(data.size(), 4096));
      stream.next_out = out.data() + used;
      stream.avail_out = static_cast<uInt>(out.size() - used);
      result = inflate(&stream, Z_NO_FLUSH);
      out.resize(out.size() - stream.avail_out);
   }
   inflateEnd(&stream);
   if (result != Z_STREAM_END || stream.avail_in != 0 || out.size() > bytesMax)
      return std::nullopt;
   return out;
}

} // namespace polis::node
