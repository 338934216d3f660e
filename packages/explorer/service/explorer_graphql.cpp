#include "explorer/service/explorer_graphql.hpp"

#include "explorer/service/block_log.hpp"
#include "explorer/service/explorer.hpp"

#include <polis/graphql.hpp>

#include <algorithm>

namespace polis::services {

namespace {

struct TransactionNode {
   static constexpr std::string_view typeName = "SignedTransaction";
   Checksum256 id{};
   Transaction transaction;
   std::vector<Bytes> proofs;
};

struct BlockNode {
   static constexpr std::string_view typeName = "Block";
   Checksum256 id{};
   BlockHeader header;
   std::vector<TransactionNode> transactions;
};

struct TransactionLocation {
   BlockNum blockNum = 0;
   Checksum256 blockId{};
   TimePointUSec blockTime;
   AccountNumber producer;
   std::uint32_t index = 0;
   TransactionNode transaction;
};

/// Bytes of blocks that cost a query as much as one field.
constexpr std::size_t bytesPerCost = 256;

TransactionNode nodeOf(const SignedTransaction& signedTransaction) {
   const Bytes& packed = signedTransaction.transaction.packed;
   return {sha256(ByteView(packed)), unpackOrAbort<Transaction>(packed, "malformed transaction in the log"),
           signedTransaction.proofs};
}

std::optional<Block> blockAt(BlockNum num) {
   const Bytes packed = packedBlock(num);
   if (packed.empty() || !graphql::current->charge(1 + packed.size() / bytesPerCost))
      return std::nullopt;
   return unpackOrAbort<Block>(packed, "malformed block in the log");
}

std::optional<BlockNode> nodeAt(BlockNum num) {
   const auto block = blockAt(num);
   if (!block)
      return std::nullopt;
   BlockNode node{blockId(block->header), block->header, {}};
   for (const auto& transaction : block->transactions)
      node.transactions.push_back(nodeOf(transaction));
   return node;
}

/// Cursors are the keys of the log.
std::string cursorOf(BlockNum num) {
   Bytes key;
   appendKey(key, num);
   return toHex(ByteView(key));
}

std::optional<BlockNum> numberAt(std::string_view cursor) {
   std::uint32_t num = 0;
   if (cursor.size() != 8)
      return std::nullopt;
   for (const char c : cursor) {
      const int digit = hexDigit(c);
      if (digit < 0)
         return std::nullopt;
      num = num << 4 | static_cast<std::uint32_t>(digit);
   }
   return num;
}

struct Query {
   /// By number.
   Connection<BlockNode> blocks(Page<BlockNum> page) const {
      Connection<BlockNode> out;
      auto& execution = *graphql::current;
      if (page.first && page.last) {
         execution.fail("ask for first or last, not both");
         return out;
      }
      // Numbers in [low, high).
      std::uint64_t low = genesisNum, high = std::uint64_t{headNum()} + 1;
      if (page.ge)
         low = std::max<std::uint64_t>(low, *page.ge);
      if (page.gt)
         low = std::max<std::uint64_t>(low, std::uint64_t{*page.gt} + 1);
      if (page.lt)
         high = std::min<std::uint64_t>(high, *page.lt);
      if (page.le)
         high = std::min<std::uint64_t>(high, std::uint64_t{*page.le} + 1);
      const auto lowest = low, highest = high;
      const auto after = page.after ? numberAt(*page.after) : std::nullopt;
      const auto before = page.before ? numberAt(*page.before) : std::nullopt;
      if ((page.after && !after) || (page.before && !before)) {
         execution.fail("malformed cursor");
         return out;
      }
      if (after)
         low = std::max<std::uint64_t>(low, std::uint64_t{*after} + 1);
      if (before)
         high = std::min<std::uint64_t>(high, *before);
      const bool backward = page.last.has_value();
      const std::uint64_t wanted = std::min<std::uint64_t>(
          page.first.value_or(page.last.value_or(graphql::limits::pageRowsMax)), graphql::limits::pageRowsMax);
      while (low < high && out.edges.size() < wanted && !execution.failed()) {
         const auto num = static_cast<BlockNum>(backward ? --high : low++);
         if (auto node = nodeAt(num))
            out.edges.push_back({std::move(*node), cursorOf(num)});
         else if (!execution.charge(1)) // left out of the log
            break;
      }
      if (backward)
         std::ranges::reverse(out.edges);
      auto& info = out.pageInfo;
      info.hasPreviousPage = backward ? low < high : low > lowest && !out.edges.empty() && after.has_value();
      info.hasNextPage = backward ? before.has_value() && std::uint64_t{*before} < highest : low < high;
      if (!out.edges.empty()) {
         info.startCursor = out.edges.front().cursor;
         info.endCursor = out.edges.back().cursor;
      }
      return out;
   }
   std::optional<BlockNode> block(BlockNum blockNum) const { return nodeAt(blockNum); }
   std::optional<BlockHeader> blockHeader(BlockNum blockNum) const {
      auto found = blockAt(blockNum);
      return found ? std::optional(std::move(found->header)) : std::nullopt;
   }
   std::optional<BlockHeader> head() const {
      auto status = native::status();
      return status && status->head ? std::optional(std::move(status->head->header)) : std::nullopt;
   }
   /// maxBlocks is of no meaning: transactions are found by an index.
   std::optional<TransactionLocation> transaction(Checksum256 id, std::optional<std::uint32_t>) const {
      const auto place = openOf<Explorer::Places>(Explorer::account).get(id);
      const auto found = place ? blockAt(place->blockNum) : std::nullopt;
      if (!found || place->index >= found->transactions.size())
         return std::nullopt;
      const auto& header = found->header;
      return TransactionLocation{header.blockNum, blockId(header), header.time,
                                 header.producer, place->index,    nodeOf(found->transactions[place->index])};
   }
};
POLIS_GRAPHQL(Query, field(blocks, page), field(block, blockNum), field(blockHeader, blockNum), field(head),
              field(transaction, id, maxBlocks))

} // namespace

std::optional<HttpReply> graphqlReply(const HttpRequest& request) { return serveGraphql(Query{}, request); }

} // namespace polis::services
