#include "explorer/service/explorer.hpp"

#include "explorer/service/block_log.hpp"
#include "explorer/service/explorer_graphql.hpp"

#include "format/view.hpp"

#include <polis/api.hpp>

namespace polis::services {

namespace {

struct ActionReply {
   AccountNumber sender;
   AccountNumber service;
   MethodNumber method;
};
struct FullActionReply {
   AccountNumber sender;
   AccountNumber service;
   MethodNumber method;
   Bytes rawData;
};
struct HeadReply {
   BlockNum num = 0;
   Checksum256 id{};
   TimePointUSec time;
   AccountNumber producer;
   BlockNum irreversible = 0;
};
struct BlockLine {
   BlockNum num = 0;
   Checksum256 id{};
   TimePointUSec time;
   AccountNumber producer;
   std::uint32_t transactions = 0;
};
struct BlocksReply {
   std::vector<BlockLine> blocks;
   std::optional<BlockNum> next;
};
struct TransactionLine {
   Checksum256 id{};
   std::uint32_t index = 0;
   std::vector<ActionReply> actions;
};
struct BlockReply {
   BlockNum num = 0;
   Checksum256 id{};
   Checksum256 previous{};
   TimePointUSec time;
   AccountNumber producer;
   TermNum term = 0;
   BlockNum commitNum = 0;
   bool irreversible = false;
   std::vector<TransactionLine> transactions;
};
struct TransactionReply {
   Checksum256 id{};
   BlockNum blockNum = 0;
   Checksum256 blockId{};
   std::uint32_t index = 0;
   TimePointUSec time;
   bool irreversible = false;
   TimePointSec expiration;
   std::vector<FullActionReply> actions;
   std::vector<Claim> claims;
};
struct RecentTransaction {
   Checksum256 id{};
   BlockNum blockNum = 0;
   std::uint32_t index = 0;
   TimePointUSec time;
   std::vector<ActionReply> actions;
};
struct RecentReply {
   std::vector<RecentTransaction> transactions;
   std::optional<BlockNum> next;
};

/// Blocks that one request for recent transactions looks through, at most.
constexpr BlockNum blocksPerRequest = 200;
/// Transactions listed of one block, at most.
constexpr std::size_t listedPerBlock = 1000;

/// In a query the status shows the block after head; a single producer's head is irreversible.
BlockNum irreversibleNum() { return StatusView().commitNum(); }

/// A block of the log, read in place.
class StoredBlock {
public:
   explicit StoredBlock(BlockNum num) : packed_(packedBlock(num)) {
      if (packed_.empty())
         return;
      auto block = View<Block>::of(packed_);
      check(block.has_value(), "malformed block in the log");
      block_ = *block;
   }
   bool exists() const { return block_.has_value(); }
   auto transactions() const { return block_->get<&Block::transactions>(); }
   BlockHeader header() const {
      // Unpacked whole: the id covers every byte of it.
      auto block = unpack<HeaderOnly>(packed_);
      check(block.has_value(), "malformed block in the log");
      return std::move(block->header);
   }

private:
   /// A block's first field; the rest counts as an extension of it.
   struct HeaderOnly {
      BlockHeader header;
   };
   Bytes packed_;
   std::optional<View<Block>> block_;
};

bool startsBlock(const View<Transaction>& transaction) {
   const auto actions = transaction.get<&Transaction::actions>();
   return actions.size() == 1 && actions[0].get<&Action::sender>() == AccountNumber{} &&
          actions[0].get<&Action::method>() == "startBlock"_m;
}

std::vector<ActionReply> describe(const View<Transaction>& transaction) {
   std::vector<ActionReply> lines;
   for (const auto action : transaction.get<&Transaction::actions>())
      lines.push_back({action.get<&Action::sender>(), action.get<&Action::service>(), action.get<&Action::method>()});
   return lines;
}

HttpReply head() {
   const auto status = native::status();
   if (!status || !status->head)
      return apiError(404, "there is no block yet");
   const auto& header = status->head->header;
   return jsonReply(HeadReply{header.blockNum, status->head->blockId, header.time, header.producer, irreversibleNum()});
}

HttpReply blocks(const HttpRequest& request) {
   const auto limit = limitParameter(request);
   const auto before = numberParameter<BlockNum>(request, "before");
   BlocksReply reply;
   auto num = headNum();
   if (before)
      num = *before > 0 ? std::min(num, *before - 1) : 0;
   for (; num >= genesisNum; --num) {
      if (reply.blocks.size() == limit) {
         reply.next = num + 1;
         break;
      }
      const StoredBlock block(num);
      if (!block.exists())
         break;
      const auto header = block.header();
      const auto transactions = block.transactions();
      std::uint32_t count = static_cast<std::uint32_t>(transactions.size());
      if (count > 0 && startsBlock(transactions[0].get<&SignedTransaction::transaction>().view()))
         --count;
      reply.blocks.push_back({num, blockId(header), header.time, header.producer, count});
   }
   return jsonReply(reply);
}

HttpReply block(const HttpRequest& request) {
   auto num = numberParameter<BlockNum>(request, "num");
   const auto id = hashParameter(request, "id");
   if (!num && id)
      num = blockNumOf(*id);
   if (!num)
      return apiError(400, "parameter num: a block's number, or id: its id");
   const StoredBlock block(*num);
   if (!block.exists())
      return apiError(404, "no such block");
   const auto header = block.header();
   BlockReply reply{.num = *num,
                    .id = blockId(header),
                    .previous = header.previous,
                    .time = header.time,
                    .producer = header.producer,
                    .term = header.term,
                    .commitNum = header.commitNum,
                    .irreversible = *num <= irreversibleNum(),
                    .transactions = {}};
   if (id && *id != reply.id)
      return apiError(404, "no such block");
   std::uint32_t index = 0;
   for (const auto transaction : block.transactions()) {
      const auto nested = transaction.get<&SignedTransaction::transaction>();
      reply.transactions.push_back({sha256(nested.bytes()), index++, describe(nested.view())});
      if (reply.transactions.size() == listedPerBlock)
         break;
   }
   return jsonReply(reply);
}

HttpReply transaction(const HttpRequest& request) {
   const auto id = hashParameter(request, "id");
   if (!id)
      return apiError(400, "parameter id: a transaction's id, 64 hexadecimal digits");
   const auto place = open<Explorer::Places>().get(*id);
   if (!place)
      return apiError(404, "no block holds this transaction");
   const StoredBlock block(place->blockNum);
   if (!block.exists() || place->index >= block.transactions().size())
      return apiError(404, "the block that held this transaction is gone");
   const auto header = block.header();
   const auto nested = block.transactions()[place->index].get<&SignedTransaction::transaction>();
   const auto content = unpackOrAbort<Transaction>(nested.bytes(), "malformed transaction in the log");
   TransactionReply reply{.id = *id,
                          .blockNum = place->blockNum,
                          .blockId = blockId(header),
                          .index = place->index,
                          .time = header.time,
                          .irreversible = place->blockNum <= irreversibleNum(),
                          .expiration = content.tapos.expiration,
                          .actions = {},
                          .claims = content.claims};
   for (const auto& action : content.actions)
      reply.actions.push_back({action.sender, action.service, action.method, action.rawData});
   return jsonReply(reply);
}

HttpReply transactions(const HttpRequest& request) {
   const auto limit = limitParameter(request);
   const auto before = numberParameter<BlockNum>(request, "before");
   RecentReply reply;
   auto num = headNum();
   if (before)
      num = *before > 0 ? std::min(num, *before - 1) : 0;
   for (BlockNum seen = 0; num >= genesisNum; --num, ++seen) {
      // Whole blocks only, so that the next page starts at one.
      if (seen == blocksPerRequest || reply.transactions.size() >= limit) {
         reply.next = num + 1;
         break;
      }
      const StoredBlock block(num);
      if (!block.exists())
         break;
      const auto all = block.transactions();
      if (all.size() <= 1)
         continue;
      const auto time = block.header().time;
      for (std::size_t index = all.size(); index-- > 0 && reply.transactions.size() < apiRowsMax;) {
         const auto nested = all[index].get<&SignedTransaction::transaction>();
         if (!startsBlock(nested.view()))
            reply.transactions.push_back(
                {sha256(nested.bytes()), num, static_cast<std::uint32_t>(index), time, describe(nested.view())});
      }
   }
   return jsonReply(reply);
}

} // namespace

void Explorer::onBlock() {
   check(getSender() == AccountNumber{}, "only the node may call this");
   const auto num = headNum();
   const StoredBlock block(num);
   check(block.exists(), "the newest block is not in the log");
   const auto places = open<Places>();
   std::uint32_t index = 0;
   for (const auto transaction : block.transactions())
      places.put({.id = sha256(transaction.get<&SignedTransaction::transaction>().bytes()),
                  .blockNum = num,
                  .index = index++});
}

std::optional<HttpReply> Explorer::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                            std::optional<AccountNumber>) {
   if (auto reply = graphqlReply(request))
      return reply;
   const auto path = pathOf(request);
   if (!path.starts_with("/api/"))
      return std::nullopt;
   if (request.method == "OPTIONS")
      return std::nullopt; // http answers a preflight
   if (request.method != "GET")
      return methodNotAllowed("GET");
   if (path == "/api/head")
      return head();
   if (path == "/api/blocks")
      return blocks(request);
   if (path == "/api/block")
      return block(request);
   if (path == "/api/transaction")
      return transaction(request);
   if (path == "/api/transactions")
      return transactions(request);
   return std::nullopt;
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::Explorer)
