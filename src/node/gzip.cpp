#include "node/gzip.hpp"
#include "base/fault.hpp"
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

} // namespace polis::node
