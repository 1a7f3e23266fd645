"""`soak`: does a worker grow while clients come and go for an hour?"""
