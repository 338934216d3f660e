#include "consensus/fork_tree.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace polis::consensus {

ForkTree::ForkTree(ForkBlock root) {
   auto owned = std::make_unique<ForkBlock>(std::move(root));
   root_ = owned.get();
   blocks_.emplace(root_->id, std::move(owned));
}

ForkBlock* ForkTree::find(const BlockId& id) const {
   const auto at = blocks_.find(id);
   return at == blocks_.end() ? nullptr : at->second.get();
}

ForkBlock& ForkTree::insert(ForkBlock block, ForkBlock& parent) {
   block.parent = &parent;
   auto owned = std::make_unique<ForkBlock>(std::move(block));
   ForkBlock& inserted = *owned;
   parent.children.push_back(&inserted);
   const bool fresh = blocks_.emplace(inserted.id, std::move(owned)).second;
   ASSERT(fresh);
   return inserted;
}

void ForkTree::erase(ForkBlock& block) {
   ASSERT(block.parent);
   std::erase(block.parent->children, &block);
   std::vector<ForkBlock*> todo{&block};
   while (!todo.empty()) {
      ForkBlock* at = todo.back();
      todo.pop_back();
      todo.insert(todo.end(), at->children.begin(), at->children.end());
      blocks_.erase(BlockId(at->id));
   }
}

void ForkTree::setRoot(ForkBlock& root) {
   std::map<BlockId, std::unique_ptr<ForkBlock>> kept;
   std::vector<ForkBlock*> todo{&root};
   while (!todo.empty()) {
      ForkBlock* block = todo.back();
      todo.pop_back();
      kept.insert(blocks_.extract(block->id));
      todo.insert(todo.end(), block->children.begin(), block->children.end());
   }
   blocks_ = std::move(kept);
   root.parent = nullptr;
   root_ = &root;
}

void ForkTree::condemn(ForkBlock& block) {
   std::vector<ForkBlock*> todo{&block};
   while (!todo.empty()) {
      ForkBlock* at = todo.back();
      todo.pop_back();
      at->state = BlockState::invalid;
      todo.insert(todo.end(), at->children.begin(), at->children.end());
   }
}

bool ForkTree::isAncestor(const ForkBlock& ancestor, const ForkBlock& block) {
   const ForkBlock* at = &block;
   while (at && at->num > ancestor.num)
      at = at->parent;
   return at == &ancestor;
}

ForkBlock* ForkTree::ancestorAt(ForkBlock& block, BlockNum num) {
   ForkBlock* at = &block;
   while (at && at->num > num)
      at = at->parent;
   return at && at->num == num ? at : nullptr;
}

std::vector<ForkBlock*> ForkTree::by(AccountNumber producer) const {
   std::vector<ForkBlock*> found;
   for (const auto& [id, block] : blocks_)
      if (block->producer == producer)
         found.push_back(block.get());
   return found;
}

} // namespace polis::consensus
