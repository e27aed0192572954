ALTER TABLE "post_tag" ADD COLUMN "author" bigint;--> statement-breakpoint
UPDATE post_tag t SET author = p.author FROM post p WHERE p.id = t.post;--> statement-breakpoint
ALTER TABLE "post_tag" ALTER COLUMN "author" SET NOT NULL;--> statement-breakpoint
CREATE INDEX "post_public_here_with_media" ON "post" USING btree ("id") WHERE "post"."visibility" = 'public' AND "post"."deleted_at" IS NULL AND "post"."in_reply_to" IS NULL AND "post"."text" IS NOT NULL AND "post"."attachments" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "post_public_elsewhere" ON "post" USING btree ("id") WHERE "post"."visibility" = 'public' AND "post"."deleted_at" IS NULL AND "post"."in_reply_to" IS NULL AND "post"."text" IS NULL;--> statement-breakpoint
CREATE INDEX "post_public_elsewhere_with_media" ON "post" USING btree ("id") WHERE "post"."visibility" = 'public' AND "post"."deleted_at" IS NULL AND "post"."in_reply_to" IS NULL AND "post"."text" IS NULL AND "post"."attachments" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "post_tag_author" ON "post_tag" USING btree ("author","tag","post");;--> statement-breakpoint
-- Words of posts that were deleted.
DELETE FROM post_word w USING post p WHERE p.id = w.post AND p.deleted_at IS NOT NULL;--> statement-breakpoint
-- Words of what people here wrote before posts could be searched. What others wrote comes with its next change, favourite or bookmark.
INSERT INTO post_word (word, post)
SELECT DISTINCT found.word[1], p.id
  FROM post p CROSS JOIN LATERAL regexp_matches(lower(COALESCE(p.summary, '') || ' ' || p.text), '[[:alnum:]]{1,40}', 'g') AS found(word)
 WHERE p.text IS NOT NULL AND p.deleted_at IS NULL AND NOT EXISTS (SELECT FROM post_word w WHERE w.post = p.id)
ON CONFLICT DO NOTHING;
